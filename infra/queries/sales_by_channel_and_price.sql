-- What sells where: tickets and gross by event, sales channel and price.
SELECT eventId AS event_id,
       max(eventName) AS event,
       salesChannel AS channel,
       priceName AS price,
       currency,
       sum(sold) AS tickets,
       sum(grossSales) AS gross,
       sum(grossSales) / nullif(sum(sold), 0) AS gross_per_ticket
FROM see_tickets_sales
GROUP BY eventId, salesChannel, priceName, currency
ORDER BY gross DESC, event_id, channel, price
