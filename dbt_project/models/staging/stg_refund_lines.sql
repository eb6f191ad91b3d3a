with

refunds as (
    select * from {{ ref('stg_refunds') }}
),

refund_lines as (
    {{ list_elements('refunds', 'lines', ['refund_key']) }}
),

refund_lines_by_line as (
    select
        refund_key,
        element.line_id,
        sum(element.quantity) as quantity,
        sum(element.amount) as amount
    from refund_lines
    group by refund_key, element.line_id
)

select * from refund_lines_by_line
