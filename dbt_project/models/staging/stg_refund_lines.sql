with

refunds as (
    select * from {{ ref('stg_refunds') }}
),

refund_lines as (
    {{ list_elements('refunds', 'lines', ['refund_key']) }}
),

refund_lines_by_line as (
    select
        refund_lines.refund_key,
        refund_lines.element.line_id,
        sum(refund_lines.element.quantity) as quantity,
        sum(refund_lines.element.amount) as amount
    from refund_lines
    group by refund_lines.refund_key, refund_lines.element.line_id
)

select * from refund_lines_by_line
